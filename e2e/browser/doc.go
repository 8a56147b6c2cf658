// Package browser looks at the console's pages in a real Chromium: what people see, on
// wide screens and on phones, with and without JavaScript. Its command screenshots makes
// pictures of every page.
package browser
