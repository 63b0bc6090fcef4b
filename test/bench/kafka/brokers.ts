import type { Bench } from '../measure.ts'

/** The numbers of brokers to measure with. */
export const brokers = ({ quick }: Pick<Bench, 'quick'>): readonly (1 | 3)[] => (quick ? [1] : [1, 3])

export const nameOf = (nodes: 1 | 3) => (nodes === 1 ? 'one broker' : 'three brokers')
