/** How a person reads a file and changes the registry, as lines to show them. */
export interface NextSteps {
  /** Absent where they can open the file themselves. */
  read?: (file: string) => string
  applyRegistry: string
}

/**
 * The commands for a person on this machine, or outside the container that this runs in. `container` is what our image sets in its
 * environment, as other images and engines do (systemd's container interface).
 */
export function nextSteps({ container }: Readonly<Record<string, string | undefined>>): NextSteps {
  if (!container) return { applyRegistry: 'npx bailiwick registry apply FILE' }
  return {
    read: (file) => `docker exec CONTAINER cat ${file}`,
    applyRegistry: 'docker exec -i CONTAINER bailiwick registry apply /dev/stdin <FILE',
  }
}
