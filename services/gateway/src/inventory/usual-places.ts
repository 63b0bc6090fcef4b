import { dirname, join, resolve } from 'node:path'

/** Below the home folder: the configurations of programs that call servers of tools or models. */
const clients = [
  ...['.codex/config.toml', '.codex/auth.json', '.claude.json', '.claude/settings.json', '.claude/settings.local.json'],
  ...['.claude/.credentials.json', '.config/Claude/claude_desktop_config.json'],
  ...['Library/Application Support/Claude/claude_desktop_config.json', '.cursor/mcp.json'],
  ...['.config/Code/User/mcp.json', '.config/Code/User/settings.json'],
  ...['Library/Application Support/Code/User/mcp.json', 'Library/Application Support/Code/User/settings.json'],
  ...['.gemini/settings.json', '.codeium/windsurf/mcp_config.json', '.continue/config.yaml', '.continue/config.json'],
]

/** The same in the folder of a project. */
const ofProjects = [
  ...['.mcp.json', 'mcp.json', '.codex/config.toml', '.claude/settings.json', '.claude/settings.local.json'],
  ...['.cursor/mcp.json', '.vscode/mcp.json', '.vscode/settings.json', '.gemini/settings.json'],
]

/** Files of a project that set variables. */
const variables = ['.env', '.env.local', '.env.development', '.env.production', '.env.test', '.envrc']

/** Below the home folder: logins to servers, by the server's name. */
const logins = [
  ...['.netrc', '.pgpass', '.my.cnf', '.git-credentials', '.config/git/credentials', '.gitconfig', '.ssh/config'],
  ...['.npmrc', '.pypirc', '.config/pip/pip.conf', '.cargo/credentials.toml', '.docker/config.json'],
  ...['.config/gh/hosts.yml', '.config/glab-cli/config.yml', '.kube/config', '.aws/credentials', '.aws/config'],
]

/** Below the home folder: what a shell runs at its start, and what people typed. */
const shells = [
  ...['.bashrc', '.bash_profile', '.profile', '.zshrc', '.zprofile', '.zshenv', '.config/fish/config.fish'],
  ...['.bash_history', '.zsh_history', '.local/share/fish/fish_history', '.psql_history', '.python_history'],
  ...['.config/environment.d/10-secrets.conf', '.pam_environment'],
]

export interface UsualPlace {
  path: string
  /** Whether a program finds a server by what it reads here, so that naming one means calling it. */
  isClient: boolean
}

/** Where copies of secrets usually are, and which other programs call the same servers. `config`: the path of `gateway.yaml`. */
export function usualPlaces(
  config: string,
  { env, cwd }: { env: Readonly<Record<string, string | undefined>>; cwd: string },
): UsualPlace[] {
  const { HOME, CODEX_HOME } = env
  const atHome = (paths: readonly string[]) => (HOME ? paths.map((path) => join(HOME, path)) : [])
  const folders = [...new Set([cwd, dirname(resolve(cwd, config))])]
  const below = (paths: readonly string[]) => folders.flatMap((folder) => paths.map((path) => join(folder, path)))
  const codex = CODEX_HOME ? ['config.toml', 'auth.json'].map((name) => join(CODEX_HOME, name)) : []
  const calling = [...atHome([...clients, ...logins]), ...codex, ...below(ofProjects)]
  const others = [...atHome([...variables, ...shells]), ...below(variables)]
  return [
    ...calling.map((path) => ({ path: resolve(cwd, path), isClient: true })),
    ...others.map((path) => ({ path: resolve(cwd, path), isClient: false })),
  ]
}
