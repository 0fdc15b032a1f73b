"""The browser tracker: ``oa.js``, built from the TypeScript beside it (``npm run build``), and what serves it."""
