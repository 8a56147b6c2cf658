// Package rows reads a user's file of operations, in CSV or JSON Lines, row by
// row and in constant memory.
//
// Each physical line is one record, in both formats: no field here has any use
// for a line break, so a quote that was never closed spoils its own row and not
// those that follow. A row that can't be one is yielded as a *RowError and the
// reading goes on; a file that can't be one (no header, an unknown column, a read
// error) is yielded as a *FileError and ends it.
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
// CSV has a header with the columns server and token and, where they are wanted,
// licenses, chain, ref and id, in any order and case. The separator is the
// header's: comma, semicolon or tab. JSON Lines has one flat object on each line,
// with the same names.
//
// No error's text holds a value of the file; RowError.Raw and Row.Token do hold
// secrets, and are left out where these types are printed or encoded.
package rows
