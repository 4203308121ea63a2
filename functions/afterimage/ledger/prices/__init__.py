"""Prices: what an output costs, by the day it was made, in integers of nano-dollars."""
