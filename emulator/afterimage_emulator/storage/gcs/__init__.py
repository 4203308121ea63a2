"""Cloud Storage's own dialect: the JSON API and the plain paths of the XML API."""
