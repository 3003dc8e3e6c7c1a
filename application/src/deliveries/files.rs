//! The files of a mail, read when it is about to be handed over: a batch of mails with files may not
//! fit into memory.

use super::{Deliveries, draft::Unsendable};
use crate::ports::{Attachment, Purpose};
use domain::{
    attachments::{AttachedFile, Disposition},
    ids::WorkspaceId,
};
use std::collections::HashMap;

impl Deliveries {
    /// The files of a mail with their bytes. The lease is given back before the mail is handed over.
    pub(super) async fn files(
        &self,
        workspace: &WorkspaceId,
        files: &[AttachedFile],
    ) -> Result<Vec<Attachment>, Unsendable> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let checksums: Vec<_> = files.iter().map(|file| file.checksum.as_str()).collect();
        let purpose = Purpose::delivery("deliveries.files");
        let mut store = self.ports.broker.read(workspace, purpose).await.map_err(Unsendable::Later)?;
        let contents = store.contents(&checksums).await.map_err(Unsendable::Later)?;
        drop(store);
        let contents: HashMap<_, _> = contents.into_iter().map(|c| (c.checksum, c.content)).collect();
        files
            .iter()
            .map(|file| {
                let content = contents.get(&file.checksum).ok_or("a file of this message is gone")?;
                Ok(Attachment {
                    filename: file.filename.as_str().to_owned(),
                    content_type: file.content_type.as_str().to_owned(),
                    inline: file.disposition == Disposition::Inline,
                    content: content.clone(),
                })
            })
            .collect()
    }
}
