package widget

import _ "embed"

//go:embed consentd.d.ts
var declarations string

// Declarations is the API of window.consentd as TypeScript declares it: the file consentd.d.ts.
func Declarations() string { return declarations }
