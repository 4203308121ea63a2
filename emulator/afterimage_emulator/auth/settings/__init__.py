"""What a project or a tenant allows and asks for: ways to sign in, second factors, passwords, providers."""
