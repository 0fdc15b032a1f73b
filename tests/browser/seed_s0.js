window.oa('conversion', 'purchase', {
revenue: 49.99,
currency: 'USD',
plan: 'pro'
});
