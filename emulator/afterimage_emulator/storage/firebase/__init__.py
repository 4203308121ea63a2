"""The dialect of the Firebase SDKs for web and mobile apps."""
