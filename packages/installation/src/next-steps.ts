/** Lines that show a person how to read a file and how to change the registry. */
export interface NextSteps {
  /** Absent if they can open the file themselves. */
  read?: (file: string) => string
  applyRegistry: string
}

/**
 * The commands for a person on this machine, or outside the container in which this runs. `container` is the environment variable that our
 * image sets, as other images and engines do (systemd's container interface).
 */
export function nextSteps({ container }: Readonly<Record<string, string | undefined>>): NextSteps {
  if (!container) return { applyRegistry: 'npx bailiwick registry apply FILE' }
  return {
    read: (file) => `docker exec CONTAINER cat ${file}`,
    applyRegistry: 'docker exec -i CONTAINER bailiwick registry apply /dev/stdin <FILE',
  }
}
