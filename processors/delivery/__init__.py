"""Tells destinations of conversions: postbacks and platforms of advertisers. At least once, and never in the way."""
