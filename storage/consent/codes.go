package consent

import "fmt"

// Basis is a legal basis of GDPR art. 6(1).
type Basis string

// The six bases of GDPR art. 6(1), points a to f.
const (
	BasisConsent            Basis = "consent"
	BasisContract           Basis = "contract"
	BasisLegalObligation    Basis = "legal_obligation"
	BasisVitalInterests     Basis = "vital_interests"
	BasisPublicTask         Basis = "public_task"
	BasisLegitimateInterest Basis = "legitimate_interest"
)

// Valid reports whether b is one of the six.
func (b Basis) Valid() bool {
	switch b {
	case BasisConsent, BasisContract, BasisLegalObligation, BasisVitalInterests, BasisPublicTask, BasisLegitimateInterest:
		return true
	}
	return false
}

// Method is how a choice was expressed.
type Method string

// The methods a proof may carry.
const (
	MethodAcceptAll Method = "accept_all"
	MethodRejectAll Method = "reject_all"
	MethodCustom    Method = "custom"
	MethodWithdraw  Method = "withdraw"

	// Set by the server, never by a client: what a form with double opt-in records, and what the button behind
	// its mail does.
	MethodRequest Method = "request"
	MethodConfirm Method = "confirm"
)

// Valid reports whether m is one a client may name.
func (m Method) Valid() bool {
	return m == MethodAcceptAll || m == MethodRejectAll || m == MethodCustom || m == MethodWithdraw
}

// Grade says how strong the evidence behind a proof is; a higher value is stronger.
type Grade uint8

// From no evidence to a confirmed double opt-in (DESIGN §2).
const (
	GradeNone     Grade = iota // nothing recorded
	GradeAsserted              // said by an API client
	GradeImported              // taken over from another system, with its source
	GradeProven                // this server knows the wording and saw the origin
	GradeVerified              // double opt-in confirmed
)

var gradeNames = [...]string{"none", "asserted", "imported", "proven", "verified"}

func (g Grade) String() string { return name(gradeNames[:], uint8(g)) }

// ParseGrade reads the wire form.
func ParseGrade(s string) (Grade, error) { return parse[Grade](gradeNames[:], s, "grade") }

// Status is where a purpose stands for a subject.
type Status uint8

// The answers a lookup can give (DESIGN §2).
const (
	StatusUnknown   Status = iota // never asked
	StatusGranted                 // said yes, still in force
	StatusDenied                  // said no, and had not said yes before
	StatusWithdrawn               // said yes once, then took it back
	StatusPending                 // said yes, confirmation awaited
	StatusExpired                 // said yes too long ago
)

var statusNames = [...]string{"unknown", "granted", "denied", "withdrawn", "pending", "expired"}

func (s Status) String() string { return name(statusNames[:], uint8(s)) }

// Reason says why a lookup answered as it did.
type Reason string

// The reasons of DESIGN §8.
const (
	ReasonGranted              Reason = "granted"
	ReasonDenied               Reason = "denied"
	ReasonWithdrawn            Reason = "withdrawn"
	ReasonAwaitingConfirmation Reason = "awaiting_confirmation"
	ReasonExpired              Reason = "expired"
	ReasonWordingSuperseded    Reason = "wording_superseded"
	ReasonNeverAsked           Reason = "never_asked"
	ReasonErased               Reason = "erased"
)

// DeviceClass is the coarse kind of device, for rates; it is derived from the user agent and names nobody.
type DeviceClass string

// The classes rates are grouped by.
const (
	DeviceDesktop DeviceClass = "desktop"
	DeviceMobile  DeviceClass = "mobile"
	DeviceTablet  DeviceClass = "tablet"
	DeviceOther   DeviceClass = "other"
	DeviceServer  DeviceClass = "server" // recorded through the API, no browser involved
)

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}

func parse[T ~uint8](names []string, s, what string) (T, error) {
	for i, n := range names {
		if n == s {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("consent: %q is no %s", s, what)
}
