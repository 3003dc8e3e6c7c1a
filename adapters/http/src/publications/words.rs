//! The few words of the pages in the language of their site.

use domain::languages::Language;

/// The words of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    /// Skips to the content.
    pub(super) skip: &'static str,
    /// Leads to the list of pages.
    pub(super) all: &'static str,
    /// Names the navigation between pages.
    pub(super) pages: &'static str,
    /// Leads to pages that are newer.
    pub(super) newer: &'static str,
    /// Leads to pages that are older.
    pub(super) older: &'static str,
    /// There is no page yet.
    pub(super) empty: &'static str,
    /// There is no such page.
    pub(super) missing: &'static str,
    /// A link is no longer good.
    pub(super) expired: &'static str,
    /// The server cannot answer now.
    pub(super) later: &'static str,
}

const ENGLISH: Words = Words {
    skip: "Skip to content",
    all: "All posts",
    pages: "Pages",
    newer: "Newer",
    older: "Older",
    empty: "Nothing has been published yet.",
    missing: "Page not found",
    expired: "This link is not valid or has expired",
    later: "This page is not available now. Please try again in a minute.",
};

const FRENCH: Words = Words {
    skip: "Aller au contenu",
    all: "Toutes les publications",
    pages: "Pages",
    newer: "Plus récentes",
    older: "Plus anciennes",
    empty: "Rien n’a encore été publié.",
    missing: "Page introuvable",
    expired: "Ce lien n’est pas valide ou a expiré",
    later: "Cette page n’est pas disponible. Réessayez dans une minute.",
};

const GERMAN: Words = Words {
    skip: "Zum Inhalt",
    all: "Alle Beiträge",
    pages: "Seiten",
    newer: "Neuere",
    older: "Ältere",
    empty: "Noch ist nichts veröffentlicht.",
    missing: "Seite nicht gefunden",
    expired: "Dieser Link ist ungültig oder abgelaufen",
    later: "Diese Seite ist gerade nicht verfügbar. Bitte in einer Minute noch einmal versuchen.",
};

const SPANISH: Words = Words {
    skip: "Ir al contenido",
    all: "Todas las publicaciones",
    pages: "Páginas",
    newer: "Más recientes",
    older: "Más antiguas",
    empty: "Todavía no se ha publicado nada.",
    missing: "Página no encontrada",
    expired: "Este enlace no es válido o ha caducado",
    later: "Esta página no está disponible ahora. Inténtelo de nuevo en un minuto.",
};

const PORTUGUESE: Words = Words {
    skip: "Ir para o conteúdo",
    all: "Todas as publicações",
    pages: "Páginas",
    newer: "Mais recentes",
    older: "Mais antigas",
    empty: "Ainda não há publicações.",
    missing: "Página não encontrada",
    expired: "Este link não é válido ou expirou",
    later: "Esta página não está disponível agora. Tente novamente em um minuto.",
};

impl Words {
    /// In this language, else in English.
    pub(super) fn of(language: &Language) -> Self {
        match language.as_str().split('-').next().unwrap_or_default() {
            "fr" => FRENCH,
            "de" => GERMAN,
            "es" => SPANISH,
            "pt" => PORTUGUESE,
            _ => ENGLISH,
        }
    }
}
