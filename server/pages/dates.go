package pages

import (
	"strconv"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// calendar writes a day as people of a language do (Unicode CLDR, date format "long"): %d, %m and %y stand for day,
// month and year; months are named as they stand in a date.
type calendar struct{ format, months string }

// calendars is a table of constants by language. The day is that of UTC.
var calendars = map[string]calendar{
	"bg": {"%d %m %y г.", "януари февруари март април май юни юли август септември октомври ноември декември"},
	"cs": {"%d. %m %y", "ledna února března dubna května června července srpna září října listopadu prosince"},
	"da": {"%d. %m %y", "januar februar marts april maj juni juli august september oktober november december"},
	"de": {"%d. %m %y", "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"},
	"el": {"%d %m %y", "Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου Σεπτεμβρίου Οκτωβρίου Νοεμβρίου Δεκεμβρίου"},
	"en": {"%d %m %y", "January February March April May June July August September October November December"},
	"es": {"%d de %m de %y", "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"},
	"et": {"%d. %m %y", "jaanuar veebruar märts aprill mai juuni juuli august september oktoober november detsember"},
	"fi": {"%d. %m %y", "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta"},
	"fr": {"%d %m %y", "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"},
	"ga": {"%d %m %y", "Eanáir Feabhra Márta Aibreán Bealtaine Meitheamh Iúil Lúnasa Meán_Fómhair Deireadh_Fómhair Samhain Nollaig"},
	"hr": {"%d. %m %y.", "siječnja veljače ožujka travnja svibnja lipnja srpnja kolovoza rujna listopada studenoga prosinca"},
	"hu": {"%y. %m %d.", "január február március április május június július augusztus szeptember október november december"},
	"it": {"%d %m %y", "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"},
	"lt": {"%y m. %m %d d.", "sausio vasario kovo balandžio gegužės birželio liepos rugpjūčio rugsėjo spalio lapkričio gruodžio"},
	"lv": {"%y. gada %d. %m", "janvāris februāris marts aprīlis maijs jūnijs jūlijs augusts septembris oktobris novembris decembris"},
	"mt": {"%d ta’ %m %y", "Jannar Frar Marzu April Mejju Ġunju Lulju Awwissu Settembru Ottubru Novembru Diċembru"},
	"nl": {"%d %m %y", "januari februari maart april mei juni juli augustus september oktober november december"},
	"pl": {"%d %m %y", "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"},
	"pt": {"%d de %m de %y", "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"},
	"ro": {"%d %m %y", "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie"},
	"sk": {"%d. %m %y", "januára februára marca apríla mája júna júla augusta septembra októbra novembra decembra"},
	"sl": {"%d. %m %y", "januar februar marec april maj junij julij avgust september oktober november december"},
	"sv": {"%d %m %y", "januari februari mars april maj juni juli augusti september oktober november december"},
}

// date writes the day of t in a locale; 2026-11-21 in a language that is not in the table. Nothing breaks between
// its words.
func date(locale string, t consent.Millis) string {
	lang, _, _ := strings.Cut(locale, "-")
	c, ok := calendars[strings.ToLower(lang)]
	day := t.Time()
	if !ok {
		return day.Format("2006-01-02")
	}
	month := strings.Fields(c.months)[day.Month()-1]
	fill := strings.NewReplacer("%d", strconv.Itoa(day.Day()), "%m", month, "%y", strconv.Itoa(day.Year()))
	return strings.NewReplacer(" ", "\u00a0", "_", "\u00a0").Replace(fill.Replace(c.format))
}
