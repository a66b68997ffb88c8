"""Files of the tenants: uploads that resume, bytes kept once a tenant, variants of images, signed URLs."""
