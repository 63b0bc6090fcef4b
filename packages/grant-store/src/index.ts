export { type Break, faultyGrantStore, type GrantStoreMethod } from './faulty-grant-store.ts'
export type { AdvanceOutcome, Amounts, GrantStore, Settlement, Take, TreeState } from './grant-store.ts'
