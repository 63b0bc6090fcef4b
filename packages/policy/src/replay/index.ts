export { countsOf, type Difference, type OtherEntity, type Replayed, replayDecisions } from './replay.ts'
export { storedSets } from './stored-sets.ts'
