/** Where an action states what it costs at most, if the gateway itself makes it, and where a permission reads it. */
export const costPointers = { amount: '/cost/amount', currency: '/cost/currency' } as const

/** The value that `costPointers` point to. */
export interface StatedCost {
  /** A decimal of at most 6 places. */
  readonly amount: string
  readonly currency: string
}
