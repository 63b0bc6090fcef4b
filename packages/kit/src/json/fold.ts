/**
 * Names that some reader treats as the same name fold to the same text: Go matches JSON keys without regard to case (and folds `ſ` to `s`
 * and the Kelvin sign to `k`), others normalise characters first.
 */
export const fold = (name: string): string => name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC')
