// Package batch keeps what is known of a batch as a whole: its name, policy, when it
// was created and which buckets of the ledger hold calls of it. Counts and results are
// kept with the calls, by package chain.
//
// A batch may have canaries: of such a batch, the calls of some tokens are enqueued
// first, and the others once it was released. Which tokens these are, and when it is
// released, is its producer's to say; it is kept here so that it outlives the producer.
//
// Guarantees: a batch is created once; a second producer that names another policy is
// refused. A bucket is noted before a call of the batch is appended to it, so that no
// call is in a bucket that is not noted. A batch is deleted only while no run of it lives and nobody
// may append to it, and whoever notes a bucket meanwhile keeps it (see MayPurge); an append that
// comes too late for that is refused by its bucket. Every method is one command on one key, or
// several whose order makes a crash between them harmless.
package ledger
