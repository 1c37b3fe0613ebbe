package server

import (
	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
)

// Kind says what a problem asks of the client: mend the request, try again, or call somebody.
type Kind string

// The three kinds of errors.
const (
	Refused Kind = "refused" // the request is wrong; the same again is refused again
	Retry   Kind = "retry"   // ours, and it passes; Retry-After says when
	Fatal   Kind = "fatal"   // ours, and somebody has to look
)

// Code is one stable problem code. Clients may rely on Name and Status; Title may be reworded.
type Code struct {
	Name   string
	Status int
	Kind   Kind
	Title  string
}

// Codes that are raised in this package only; see server/wire and server/admit for the others.
const (
	codeBadRequest       = "bad_request"
	codeBadQuery         = "bad_query"
	codeIdentifierInURL  = "identifier_in_url"
	codeTokenMissing     = "token_missing"
	codeTokenInvalid     = "token_invalid"
	codeTokenExpired     = "token_expired"
	codeTokenRevoked     = "token_revoked"
	codeTokenWrongSite   = "token_wrong_site"
	codeTokenWrongScope  = "token_wrong_scope"
	codeNotFound         = "not_found"
	codeUnknownSite      = "unknown_site"
	codeUnknownProof     = "unknown_proof"
	codeMethodNotAllowed = "method_not_allowed"
	codeRequestTimeout   = "request_timeout"
	codeIDConflict       = "id_conflict"
	codeBodyTooLarge     = "body_too_large"
	codeCompressedBody   = "compressed_body"
	codeMediaType        = "unsupported_media_type"
	codeInvalid          = "invalid"
	codeTooManySubjects  = "too_many_subjects"
	codeTooManyPurposes  = "too_many_purposes"
	codeDuplicatePurpose = "duplicate_purpose"
	codeUnknownChannel   = "unknown_channel"
	codeUnknownUse       = "unknown_use"
	codeTwoQuestions     = "purposes_and_channel"
	codeTooManyContacts  = "too_many_contacts"
	codeInvalidCursor    = "invalid_cursor"
	codeRateLimited      = "rate_limited"
	codeHeaderTooLarge   = "header_too_large"
	codeInternal         = "internal"
	codeBusy             = "busy"
	codeDiskFull         = "disk_full"
	codeSuspended        = "recording_suspended"
	codeShuttingDown     = "shutting_down"
	codeWarehouse        = "warehouse_unavailable"
	codeUnknownForm      = "unknown_form"
	codeUnknownLink      = "unknown_link"
	codeLinkExpired      = "link_expired"
	codeNotCanonical     = "not_canonical"
	codeTooManyWordings  = "too_many_wordings"
	codeNoMail           = "mail_unavailable"
	codeNotSealed        = "not_sealed"
	codeOtherEdge        = "recorded_elsewhere"
	codeLogMismatch      = "log_mismatch"
	codeLogRestored      = "log_restored"
	codeTooManyProofs    = "too_many_proofs"
	codeOverloaded       = "overloaded"
	codeVersion          = "http_version"
)

// Codes lists every problem consentd can answer with, by status. The OpenAPI document and the metrics are
// held to it by tests. unknown_wording is there twice: asked for by GET it is not found, named in a body it is
// invalid.
func Codes() []Code {
	return []Code{
		{codeBadRequest, 400, Refused, "The request is not HTTP as this server understands it"},
		{wire.CodeMalformed, 400, Refused, "The body is not well-formed JSON"},
		{wire.CodeDuplicateKey, 400, Refused, "A member of the body appears twice"},
		{wire.CodeTooDeep, 400, Refused, "The body is nested too deeply"},
		{wire.CodeTooManyFields, 400, Refused, "An object of the body has too many members"},
		{codeIdentifierInURL, 400, Refused, "An e-mail address or phone number does not belong in a URL"},
		{codeBadQuery, 400, Refused, "The query string is not understood"},
		{codeTokenMissing, 401, Refused, "This needs a token"},
		{codeTokenInvalid, 401, Refused, "The token is not valid here"},
		{codeTokenExpired, 401, Refused, "The token has expired"},
		{codeTokenRevoked, 401, Refused, "The token has been revoked"},
		{admit.OriginMissing, 403, Refused, "The request has no Origin"},
		{admit.OriginForeign, 403, Refused, "The request comes from an origin that is not the site's"},
		{codeTokenWrongSite, 403, Refused, "The token is not for this site"},
		{codeTokenWrongScope, 403, Refused, "The token does not allow this"},
		{codeNotFound, 404, Refused, "There is nothing here"},
		{codeUnknownSite, 404, Refused, "There is no such site"},
		{admit.UnknownWording, 404, Refused, "There is no such wording"},
		{codeUnknownProof, 404, Refused, "There is no such proof"},
		{codeUnknownForm, 404, Refused, "There is no such form"},
		{codeUnknownLink, 404, Refused, "This link opens nothing"},
		{codeOtherEdge, 404, Refused, "Another edge recorded this proof"},
		{codeMethodNotAllowed, 405, Refused, "This method is not allowed here"},
		{codeRequestTimeout, 408, Refused, "The request took too long to arrive"},
		{codeIDConflict, 409, Refused, "This proof id was used for another choice"},
		{codeLinkExpired, 410, Refused, "This link has expired"},
		{codeLogRestored, 410, Refused, "The log that held this was lost"},
		{codeBodyTooLarge, 413, Refused, "The body is too large"},
		{codeCompressedBody, 415, Refused, "Compressed bodies are not accepted"},
		{codeMediaType, 415, Refused, "The body must be JSON, on a page a form"},
		{codeInvalid, 422, Refused, "Several things in the request are not valid"},
		{wire.CodeWrongType, 422, Refused, "A value has the wrong type"},
		{wire.CodeUnknownField, 422, Refused, "A member is not known"},
		{wire.CodeMissingField, 422, Refused, "A member is missing"},
		{wire.CodeTooLong, 422, Refused, "A text is too long"},
		{wire.CodeOutOfRange, 422, Refused, "A number is out of range"},
		{admit.InvalidUUID, 422, Refused, "An id is not a UUID"},
		{admit.IDNotV7, 422, Refused, "The proof id is not a UUID version 7"},
		{admit.IDInFuture, 422, Refused, "The proof id lies in the future"},
		{admit.InvalidSubject, 422, Refused, "The subject is not valid"},
		{admit.SubjectNotAllowed, 422, Refused, "This kind of subject needs a token"},
		{admit.UnknownSurface, 422, Refused, "There is no such surface"},
		{admit.SurfaceNotAllowed, 422, Refused, "This surface does not record choices this way"},
		{admit.UnknownMethod, 422, Refused, "There is no such method"},
		{admit.MethodMismatch, 422, Refused, "The decisions are not what the method says"},
		{admit.UnknownWording, 422, Refused, "The site has never published this wording"},
		{admit.WordingMismatch, 422, Refused, "The wording belongs to another surface or locale"},
		{admit.InvalidLocale, 422, Refused, "The locale is not a language tag"},
		{admit.UnknownPurpose, 422, Refused, "Nobody is asked for this purpose"},
		{admit.MissingPurpose, 422, Refused, "A purpose that was asked is not decided"},
		{admit.InvalidPage, 422, Refused, "The page is not a page of the site"},
		{admit.LooksAutomated, 422, Refused, "A program seems to have filled in the form"},
		{admit.WordingRefused, 422, Refused, "The wording says what the site's configuration does not"},
		{codeNotCanonical, 422, Refused, "The wording is not in its canonical form"},
		{codeTooManySubjects, 422, Refused, "There are too many subjects in one call"},
		{codeTooManyPurposes, 422, Refused, "There are too many purposes in one call"},
		{codeDuplicatePurpose, 422, Refused, "A purpose is named twice"},
		{codeUnknownChannel, 422, Refused, "No purpose is over this channel"},
		{codeUnknownUse, 422, Refused, "No purpose has this use over the channel"},
		{codeTwoQuestions, 422, Refused, "Purposes are named, and a channel too"},
		{codeTooManyContacts, 422, Refused, "There are too many contacts in one call"},
		{codeTooManyProofs, 422, Refused, "There are too many proofs for one file"},
		{codeInvalidCursor, 422, Refused, "The cursor is not one this server gave out"},
		{codeRateLimited, 429, Refused, "There are too many requests from this network"},
		{codeTooManyWordings, 429, Refused, "The site has published too many wordings from its pages today"},
		{codeHeaderTooLarge, 431, Refused, "The header is too large"},
		{codeInternal, 500, Fatal, "Something went wrong here"},
		{codeLogMismatch, 500, Fatal, "What is stored is not what the log says"},
		{codeBusy, 503, Retry, "More is arriving than the disk can take"},
		{codeDiskFull, 503, Retry, "The disk is nearly full"},
		{codeSuspended, 503, Retry, "Nothing is recorded until an operator has looked"},
		{codeShuttingDown, 503, Retry, "This server is shutting down"},
		{codeWarehouse, 503, Retry, "The warehouse does not answer"},
		{codeNoMail, 503, Retry, "This server sends no mail"},
		{codeNotSealed, 503, Retry, "Nothing is signed here yet"},
		{codeOverloaded, 503, Retry, "More is under way than the memory set aside for it holds"},
		{codeVersion, 505, Refused, "This version of HTTP is not spoken here"},
	}
}
