import { mutants } from './patch.ts'
import { type Fate, Workshop } from './workshop.ts'

// npm run mutants [-- V9 | part-of-a-name | --smoke]
// Breaks each invariant once in a copy of the sources, and requires a test with its number to fail.

const args = process.argv.slice(2)
const smoke = args.includes('--smoke')
const chosen = mutants(args.filter((word) => !word.startsWith('--'))).filter((mutant) => !smoke || mutant.smoke)
if (chosen.length === 0) throw new Error('no such mutant')

using workshop = new Workshop()
const projects = Map.groupBy(chosen, ({ tests: [flag = '', name = ''] }) => `${flag} ${name}`)
for (const [project, of] of projects) {
  const files = [...new Set(of.flatMap(({ tests }) => tests.slice(2)))]
  const sound = await workshop.test([...project.split(' '), ...files])
  if (sound === undefined || sound.failed.length > 0 || sound.passed === 0) {
    console.log(`${project} fails before anything is broken: ${sound?.failed.join(', ') ?? 'timed out'}`)
    console.log('0 passed, 1 failed')
    process.exit(1)
  }
}

const fates: Fate[] = []
for (const mutant of chosen) {
  const fate = await workshop.try(mutant)
  fates.push(fate)
  console.log(`${fate.padEnd(9)} ${mutant.invariants.join(', ').padEnd(9)} ${mutant.name.padEnd(44)} ${mutant.title}`)
}
const killed = fates.filter((fate) => fate === 'killed').length
console.log(`${killed} passed, ${fates.length - killed} failed`)
process.exitCode = killed === fates.length ? 0 : 1
