export { longestChain } from '@bailiwick/authority'
export { type ChainEnd, Chains } from './chains.ts'
export { inTurn, type Row } from './cut/row.ts'
export { DecisionState, instanceName } from './decision-state.ts'
export {
  type ChainFault,
  chainOf,
  childrenOf,
  type Holder,
  type Holders,
  type JudgedChain,
  type JudgedLink,
  judgeLink,
  type Passing,
} from './delegation-chain.ts'
export { type CredentialRecord, type GrantStateName, grantTransitions, type Tree } from './grant-life.ts'
export { GrantState } from './grant-state.ts'
export {
  Heads,
  hasFolded,
  type Leader,
  maxHeadSkewMs,
  type ReceivedHead,
  revokedUpTo,
  takeoverMs,
} from './heads.ts'
export { judgeByAnchor } from './judge.ts'
export { Ledger } from './ledger.ts'
export { approversOf, type End, endOf, judgeLife, type LifeQuestion } from './life.ts'
export { type Claim, claimOf, type Order, race, type TreeFact, type TreeFacts } from './lost-races.ts'
export { publishedKeys } from './published-keys.ts'
export { actingAgent, claimsOnRecord, matchesIntent, namesChain } from './recorded-credential.ts'
export {
  type ChangeAuthor,
  type EntityRecord,
  type JudgeChange,
  type RegistryChange,
  RegistryState,
} from './registry-state.ts'
export { type VoidedBy, voidedBy } from './reopening.ts'
export { type RequestRecord, type RequestStateName, requestTransitions } from './request-life.ts'
export { isOfEmergency, itemOf, mayBeReviewed, RequestState } from './request-state.ts'
export { type Lineage, lineageOf, type Revocation, RevocationState } from './revocation-state.ts'
export { type SignedEvent, signedEvent } from './signed-event.ts'
export { type Touch, type Touched, without } from './touched.ts'
export {
  type AllowRecord,
  type Amounts,
  change,
  type DecisionFacts,
  type DecisionStanding,
  emptySpend,
  firstRoundOf,
  isOpenRound,
  isUsed,
  roundAfter,
  type SpendView,
  type Spent,
  spellAmounts,
  type TreeSpend,
  tentative,
  unsentOf,
} from './tree-spend.ts'
export { type Fact, isNext, type Position, type Verdict } from './verdict.ts'
