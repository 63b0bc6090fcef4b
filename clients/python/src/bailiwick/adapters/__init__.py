"""Adapters for agent frameworks. Each decides in the agent's own process: read `bailiwick.in_process` first."""
