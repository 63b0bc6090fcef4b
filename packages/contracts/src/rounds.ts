/**
 * A server may answer a call with questions, and its client then sends the call again, with answers (`input_required` in MCP). All rounds
 * of a call count as one call. The most rounds that one call may have:
 */
export const mostRounds = 10

/** How long after the first round of a call a further one may be allowed, in ms. */
export const longestRoundsMs = 30 * 60_000
