"""Who may use which solution as what: entitlements, and the tokens that prove them."""
