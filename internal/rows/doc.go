// Package rows reads a user's file of operations, in CSV or JSON Lines, row by
// row and in constant memory.
//
// Each physical line is one record, in both formats: no field here has any use
// for a line break, so a quote that was never closed spoils its own row and not
// those that follow. A bad row is yielded as a *RowError, and reading goes on. A
// bad file (no header, an unknown column, a read error) is yielded as a
// *FileError, which ends it.
//
//	for row, err := range rows.Read(f, "ops.csv", rows.Auto, rows.UTF8) {
//		var bad *rows.RowError
//		switch {
//		case err == nil:
//			use(row)
//		case errors.As(err, &bad):
//			fmt.Fprintln(os.Stderr, bad)
//			rejects.Add(bad)
//		default:
//			return err
//		}
//	}
//
// CSV has a header with the columns server and token and, if they are wanted,
// licenses, chain, ref and id, in any order and case. The separator is the
// header's: comma, semicolon or tab. JSON Lines has one flat object on each line,
// with the same names.
//
// No error's text holds a value of the file. RowError.Raw and Row.Token do hold
// secrets, and are left out when these types are printed or encoded.
package rows
