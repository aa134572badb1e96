"""What the gateway is, for machines: OpenAPI for requests, AsyncAPI for messages and topics.

Made from the types, the filters and the table of endpoints, so that they say what is served.
"""
