package site

import _ "embed"

// The schema is written from the types and comments of config.go by a test, and another run of that test holds
// it to them.
//
//go:generate go test -run ^TestTheSchemaIsFresh$ -update .

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a site file, for editors:
//
//	# yaml-language-server: $schema=…/schema.json
//
// It knows shapes, not laws: Check says more.
func Schema() []byte { return append([]byte(nil), schema...) }
