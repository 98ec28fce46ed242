"""The assistant for agents: an MCP server with typed tools and no SQL tool."""
