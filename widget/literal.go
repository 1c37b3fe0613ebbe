package widget

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// literal writes v as a JavaScript expression. Names of fields stand bare, so that esbuild may shorten them with
// the script's own (innerNames); keys of maps are the site's words and stand in quotes, as every string does.
// Fields tagged omitempty are left out when they are zero.
func literal(buf *bytes.Buffer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		buf.WriteByte('{')
		for i := range v.NumField() {
			name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if option == "omitempty" && empty(v.Field(i)) {
				continue
			}
			buf.WriteString(name + ":")
			if err := literal(buf, v.Field(i)); err != nil {
				return err
			}
			buf.WriteByte(',')
		}
		buf.WriteByte('}')
	case reflect.Map:
		buf.WriteByte('{')
		words := v.Interface().(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(words)) {
			fmt.Fprintf(buf, "%s:%s,", quoted(key), quoted(words[key]))
		}
		buf.WriteByte('}')
	case reflect.Slice, reflect.Array:
		buf.WriteByte('[')
		for i := range v.Len() {
			if err := literal(buf, v.Index(i)); err != nil {
				return err
			}
			buf.WriteByte(',')
		}
		buf.WriteByte(']')
	case reflect.String:
		buf.WriteString(quoted(v.String()))
	case reflect.Bool, reflect.Int64:
		fmt.Fprint(buf, v.Interface())
	default:
		return fmt.Errorf("%w: no literal of %s", ErrBuild, v.Type())
	}
	return nil
}

func empty(v reflect.Value) bool {
	return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// quoted writes a string as JSON, which is JavaScript too.
func quoted(s string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // esbuild reads this and escapes what a script needs escaped
	enc.Encode(s)            // a string always encodes
	return strings.TrimSuffix(buf.String(), "\n")
}
