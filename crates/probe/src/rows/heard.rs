//! What the bytes of a broken-off answer said.

use crate::http1::{Framing, Reader};

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// The size of each chunk (or of the body, where it is not in chunks) and the text of a streamed answer, of which these
/// bytes are the beginning.
pub(super) async fn chunks(bytes: &[u8]) -> (Vec<usize>, String) {
    let (mut sizes, mut said) = (Vec::new(), String::new());
    let mut reader = Reader::new(bytes);
    let Ok(Some(head)) = reader.head().await else {
        return (sizes, said);
    };
    let mut decoder = wire::sse::Decoder::new(MAX_EVENT);
    let mut take = |data: &[u8], said: &mut String| {
        sizes.push(data.len());
        let _ = decoder.push(data, &mut |event| {
            said.push_str(&crate::target::said(&event.data));
        });
    };
    if head.response_framing("POST") == Framing::Chunked {
        while let Ok(Some(chunk)) = reader.chunk().await {
            take(&chunk, &mut said);
        }
    } else {
        take(reader.ahead(), &mut said);
    }
    (sizes, said)
}

/// The text alone.
pub(super) async fn heard(bytes: &[u8]) -> String {
    chunks(bytes).await.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broken_answer_says_what_came() {
        let event = |text: &str| {
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
        };
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let (first, second) = (event("one "), event("two"));
        let whole = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
            chunk(&first),
            chunk(&second)
        );
        let check = async |bytes: String, sizes: Vec<usize>, said: &str| {
            assert_eq!(
                chunks(bytes.as_bytes()).await,
                (sizes, said.to_owned()),
                "{bytes}"
            );
        };
        let sizes = vec![first.len(), second.len()];
        check(whole.clone(), sizes.clone(), "one two").await;
        check(
            whole[..whole.len() - 12].to_owned(),
            sizes[..1].to_vec(),
            "one ",
        )
        .await;
        check(whole[..20].to_owned(), Vec::new(), "").await;
        let plain = format!("HTTP/1.1 200 OK\r\n\r\n{first}{second}");
        check(plain.clone(), vec![plain.len() - 19], "one two").await;
    }
}
