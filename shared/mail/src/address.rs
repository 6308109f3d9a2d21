//! What is kept of an address that gets no mail.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;

/// The hash by which an address is found: of it in lower case, since hosts ignore case and mailboxes
/// do in practice.
pub fn hash(address: &str) -> String {
    let folded = address.trim().to_ascii_lowercase();
    HEXLOWER.encode(digest::digest(&digest::SHA256, folded.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_no_difference() {
        assert_eq!(hash(" Mara@Example.com"), hash("mara@example.com"));
        assert_ne!(hash("mara@example.com"), hash("mara@example.org"));
    }
}
