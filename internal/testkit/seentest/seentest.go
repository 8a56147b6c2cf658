// Package seentest measures tables of package seen, which itself has no use for their size.
package seentest

import "reflect"

// Bytes returns the most bytes that a *seen.Table with so many hashes takes at any moment: while a shard
// grows, its old form and its new one are there.
func Bytes(table any) int {
	t := reflect.ValueOf(table).Elem()
	shards := t.FieldByName("shards")
	sum, largest := int(t.Type().Size()), 0
	for i := range shards.Len() {
		own := 0
		for _, name := range []string{"hashes", "values"} {
			list := shards.Index(i).FieldByName(name)
			own += list.Cap() * int(list.Type().Elem().Size())
		}
		sum, largest = sum+own, max(largest, own)
	}
	return sum + largest
}
