export type { Attested, Attestor, Presented } from './attestor.ts'
export { Attestors } from './attestors.ts'
export { audiencesOf, type Taker } from './audiences.ts'
