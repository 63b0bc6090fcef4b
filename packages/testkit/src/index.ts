export * from './software-passkey.ts'
