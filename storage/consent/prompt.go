package consent

import "github.com/google/uuid"

// Prompt is one display of a surface to one visitor: the denominator of a consent rate. It carries no
// subject: seeing a banner is not a choice.
type Prompt struct {
	ID      uuid.UUID
	Site    string
	Edge    string
	ShownAt Millis
	Surface string
	Locale  string
	Country string
	Device  DeviceClass
	Wording Hash
	Page    string
}
