import { ownCommand, ownPlace } from './own-command.ts'

/** Lines that show a person how to read a file and how to change the registry. */
export interface NextSteps {
  /** Absent if they can open the file themselves. */
  read?: (file: string) => string
  /** The words that run this program: never `npx bailiwick` where npx would fetch a stranger's. */
  command: string
  applyRegistry: string
  /** Whether it runs in a checkout, which has the demo; an image and an installed package have none. */
  checkout: boolean
}

/**
 * The commands for a person on this machine, or outside the container in which this runs. `container` is the environment variable that our
 * image sets, as other images and engines do (systemd's container interface).
 */
export function nextSteps({ container, PATH }: Readonly<Record<string, string | undefined>>): NextSteps {
  if (!container) {
    const place = ownPlace(PATH)
    const command = ownCommand(place)
    return { command, applyRegistry: `${command} registry apply FILE`, checkout: place.program.endsWith('.ts') }
  }
  return {
    command: 'docker exec CONTAINER bailiwick',
    checkout: false,
    read: (file) => `docker exec CONTAINER cat ${file}`,
    applyRegistry: 'docker exec -i CONTAINER bailiwick registry apply /dev/stdin <FILE',
  }
}
