/** Symbolic links: the type. Their routines are in `linkservices.ts`. */
import { read32 } from '../mm/access.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { READ_CONTROL, STANDARD_RIGHTS_REQUIRED } from './access.ts'
import { freeText } from './attributes.ts'
import { OBJECT_SYMBOLIC_LINK } from './layouts.ts'
import { registerObjectType } from './type.ts'

export const SYMBOLIC_LINK_QUERY = 0x0001
export const SYMBOLIC_LINK_ALL_ACCESS = STANDARD_RIGHTS_REQUIRED | SYMBOLIC_LINK_QUERY

export const symbolicLinkType = registerObjectType({
  name: 'SymbolicLink',
  view: OBJECT_SYMBOLIC_LINK,
  tag: 'Symb',
  mapping: {
    read: READ_CONTROL | SYMBOLIC_LINK_QUERY,
    write: READ_CONTROL,
    execute: READ_CONTROL | SYMBOLIC_LINK_QUERY,
    all: SYMBOLIC_LINK_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYMBOLIC_LINK_QUERY,
  delete: (link) => freeText(read32(link + OBJECT_SYMBOLIC_LINK.offsets.LinkTarget + UNICODE_STRING.offsets.Buffer)),
})
