package warehouse

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ErrNotFound means that the warehouse has no such proof.
var ErrNotFound = errors.New("warehouse: not found")

// RowsError means that the server refuses these rows for good: sending them again cannot help, while their
// neighbours may well pass. storage/drain finds it through Poison.
type RowsError struct {
	Code int32  // of ClickHouse
	Name string // its symbolic name
	err  error
}

// Error names table and code only: the server's own message quotes values of the row, which may be personal.
func (e *RowsError) Error() string {
	return fmt.Sprintf("warehouse: rows refused: %s (code %d)", e.Name, e.Code)
}

// Poison reports that the rows are to blame.
func (e *RowsError) Poison() bool { return true }

// Detail is the server's message. It may quote the row: show it to an operator, never log it.
func (e *RowsError) Detail() string { return e.err.Error() }

// poison lists the exceptions of ClickHouse that depend on the values of a row alone. What depends on the
// table as well (a column missing or of another type: 10, 16, 53) is not here: it would set every row aside for
// a mistake in the schema, where waiting for its repair loses nothing. Neither is 33 CANNOT_READ_ALL_DATA
// nor 32 ATTEMPT_TO_READ_AFTER_EOF: a cut connection looks like that.
//
// Codes from ClickHouse, src/Common/ErrorCodes.cpp.
func poison(code int32) (name string, ok bool) {
	switch code {
	case 6:
		return "CANNOT_PARSE_TEXT", true
	case 25:
		return "CANNOT_PARSE_ESCAPE_SEQUENCE", true
	case 26:
		return "CANNOT_PARSE_QUOTED_STRING", true
	case 27:
		return "CANNOT_PARSE_INPUT_ASSERTION_FAILED", true
	case 38:
		return "CANNOT_PARSE_DATE", true
	case 41:
		return "CANNOT_PARSE_DATETIME", true
	case 69:
		return "ARGUMENT_OUT_OF_BOUND", true
	case 70:
		return "CANNOT_CONVERT_TYPE", true
	case 72:
		return "CANNOT_PARSE_NUMBER", true
	case 117:
		return "INCORRECT_DATA", true
	case 131:
		return "TOO_LARGE_STRING_SIZE", true
	case 190:
		return "SIZES_OF_ARRAYS_DONT_MATCH", true
	case 321:
		return "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", true
	case 349:
		return "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", true
	case 376:
		return "CANNOT_PARSE_UUID", true
	case 407:
		return "DECIMAL_OVERFLOW", true
	case 441:
		return "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING", true
	case 469:
		return "VIOLATED_CONSTRAINT", true
	case 675:
		return "CANNOT_PARSE_IPV4", true
	case 676:
		return "CANNOT_PARSE_IPV6", true
	case 691:
		return "UNKNOWN_ELEMENT_OF_ENUM", true
	}
	return "", false
}

// classify wraps an error of an insert: rows to blame become a RowsError, a server exception keeps its code
// and loses its text (it may quote rows), everything else (network, time, our own) stays.
func classify(table string, err error) error {
	if ex, ok := errors.AsType[*clickhouse.Exception](err); ok {
		if name, bad := poison(ex.Code); bad {
			return fmt.Errorf("sending to %s: %w", table, &RowsError{Code: ex.Code, Name: name, err: err})
		}
	}
	return classifyAs("sending to "+table, err)
}

// classifyAs is classify where no rows were sent.
func classifyAs(doing string, err error) error {
	if ex, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return fmt.Errorf("%s: %w", doing, &ServerError{Code: ex.Code, err: err})
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// serverError is classify for what is no insert: no answer to a question blames rows.
func serverError(err error) error {
	if ex, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return &ServerError{Code: ex.Code, err: err}
	}
	return err
}

// ServerError is an exception of the server that waiting, or an operator, can cure.
type ServerError struct {
	Code int32
	err  error
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("warehouse: the server refuses for now: %s (code %d)", curable(e.Code), e.Code)
}

// Unwrap gives the exception with the server's own words.
func (e *ServerError) Unwrap() error { return e.err }

// curable says what an operator is told for the codes seen most; the text of the exception stays out of
// logs.
func curable(code int32) string {
	switch code {
	case 32, 33, 40, 107, 226, 228, 246, 271:
		return "a file of a table is damaged or gone: restore it, or DETACH the part; what this edge still holds is then sent again"
	case 60:
		return "a table is missing"
	case 81:
		return "the database is missing"
	case 10, 16, 20, 53:
		return "a table has other columns than ours"
	case 159:
		return "it ran out of time"
	case 164:
		return "this user may only read"
	case 202:
		return "too many queries at once"
	case 241:
		return "it ran out of memory"
	case 243:
		return "its disk is full"
	case 242:
		return "a table is read-only"
	case 252:
		return "too many parts, merges lag behind"
	case 497, 516:
		return "user or password is wrong, or lacks a right"
	}
	return "see its log"
}
