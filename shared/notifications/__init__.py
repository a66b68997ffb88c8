"""Mail, SMS and push to the people of a tenant."""
