//! What callers are told of trouble with media and posts.

use lambda::{Code, FieldError, Problem};
use posts::PostsError;
use store::StoreError;

/// The one place where it turns into HTTP.
pub(crate) fn problem(error: PostsError) -> Problem {
    match error {
        PostsError::NotFound { what, field } => {
            let sentence = format!("There is no such {what}.");
            let problem = Problem::not_found().detail(sentence.clone());
            match field {
                Some(field) => problem.error(field, "not_found", sentence),
                None => problem,
            }
        }
        PostsError::Invalid(violations) => {
            Problem::new(Code::Invalid).errors(violations.into_iter().map(|broken| FieldError {
                field: broken.field,
                code: broken.code.into(),
                sentence: broken.sentence,
            }))
        }
        PostsError::Conflict { code, sentence } => {
            Problem::conflict(sentence).error(".", code, sentence)
        }
        PostsError::KeyReused => Problem::invalid(
            "Idempotency-Key",
            "idempotency_key_reused",
            "This key was used before, for another request. Use a new key for a new request.",
        ),
        PostsError::Store(error @ (StoreError::Malformed { .. } | StoreError::TooLarge(_))) => {
            Problem::internal(error)
        }
        error @ (PostsError::Store(_) | PostsError::Files(_) | PostsError::Queue(_)) => {
            Problem::unavailable(error)
        }
    }
}
