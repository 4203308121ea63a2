"""What stands in front of every service's HTTP routes: who may ask, what pages may read, where links lead."""
