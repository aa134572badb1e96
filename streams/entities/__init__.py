"""Which companies news is about: names, cashtags and listed tickers in a text become tickers."""
