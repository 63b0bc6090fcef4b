import { afterAll, expect } from 'vitest'
import { watchContracts } from './http-contracts.ts'

// Every answer that a service gives in these tests is as its contract says (packages/contracts/src/api).
const watch = watchContracts()
afterAll(() => expect(watch.takeFaults()).toEqual([]))
