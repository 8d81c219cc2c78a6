/** The file `name` beside the module at `url`: `.ts` where sources run as they stand, `.js` in the package. */
export const siblingFile = (name: string, url: string): URL =>
  new URL(`./${name}.${url.endsWith('.ts') ? 'ts' : 'js'}`, url)
