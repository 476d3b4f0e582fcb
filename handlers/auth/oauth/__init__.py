"""Signing in with other providers: OpenID Connect, by code and PKCE, or by an ID token of an app's own SDK."""
