document.title = "Scrip console";
