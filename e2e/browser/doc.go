// Package browser looks at the console's pages in a real Chromium, as people see them: on
// wide screens and on phones, with and without JavaScript. Its command screenshots makes
// pictures of every page.
package browser
