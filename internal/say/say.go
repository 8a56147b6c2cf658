// Package say writes numbers with their nouns, arguments that can be typed again, and the beginnings of long texts, for what people read.
package say

import (
	"slices"
	"strconv"
	"strings"
)

// Count returns a number with a noun: "1 call", "1,234 calls".
func Count(n int, noun string) string { return Plural(n, noun, noun+"s") }

// Plural returns a number with the words for one or for several.
func Plural(n int, one, several string) string {
	return Thousands(n) + " " + Word(n, one, several)
}

// Word returns the word for one or for several: "it", "them".
func Word(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// Thousands returns a number with commas: "1,234".
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Some returns a number of something: "3 failed"; "" for none.
func Some(n int, what string) string {
	if n <= 0 {
		return ""
	}
	return Thousands(n) + " " + what
}

// List joins the texts that are not empty: "3 failed, 1 open".
func List(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), ", ")
}

// Cut keeps the beginning of a text that is longer than most bytes, without half a character at its end.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// Quote writes an argument as a shell takes it.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:=@%+,", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// File writes a file's name as an argument: one that begins with a dash is no flag. "-" is
// standard input.
func File(name string) string {
	if len(name) > 1 && name[0] == '-' {
		name = "./" + name
	}
	if name == "-" {
		return name
	}
	return Quote(name)
}
