import { globSync } from 'node:fs'
import { delimiter } from 'node:path'

const needed = {
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  debootstrap: 'debootstrap',
  iptables: 'iptables',
}

/** What is missing here for a container engine of the tests' own, in words that say how to get it; empty when one can be started. */
export function missingForEngine(): string[] {
  const lacks = (program: string) =>
    !(process.env.PATH ?? '').split(delimiter).some((folder) => globSync(program, { cwd: folder || '.' }).length > 0)
  const packages = Object.entries(needed).flatMap(([program, name]) => (lacks(program) ? [name] : []))
  if (packages.length > 0) return [`a container engine: apt-get install ${packages.join(' ')}`]
  return process.getuid?.() === 0 ? [] : ['a container engine: only root may start one']
}
